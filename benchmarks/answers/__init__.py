"""How often a reader of an answer is right: planted calls, ten questions, four ways of handing over a chart."""
