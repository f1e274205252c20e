"""The stand-in that answers beneath the SDK when there is no key."""
