"""How often statements about numbers are true: simulated series without and with changes."""
