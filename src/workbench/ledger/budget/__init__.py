"""What may be spent: reserved before a request, settled after."""
