"""The one evaluator: metrics of all models at once, with intervals over patients."""
