"""How a run is made: its plan, its estimate, its trials."""
