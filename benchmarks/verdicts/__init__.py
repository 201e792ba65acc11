"""How often what is said about numbers is true: planted series with nothing in them, and with something."""
