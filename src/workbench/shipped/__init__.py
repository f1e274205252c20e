"""What the package brings along beside its code; in an installed package the files lie in this folder."""
