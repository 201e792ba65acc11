"""Statistics of time series and samples. Pure: no I/O, no clock."""
