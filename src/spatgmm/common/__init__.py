"""What the estimators share; it knows no model."""
