"""What a covariance is: from coordinates to a matrix with few parameters; it knows no data."""
