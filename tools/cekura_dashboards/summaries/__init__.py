"""The facts of one chart. Pure: no I/O, no clock; the window and now come with the request."""
