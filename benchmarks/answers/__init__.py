"""How often a reader of an answer is right: simulated calls, ten questions, four ways to present a chart."""
