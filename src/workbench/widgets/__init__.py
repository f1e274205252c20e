"""Floor 5: what the author sees and touches in JupyterLab."""
