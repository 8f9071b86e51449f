"""What is done to a data set before training: check, convert, register, make synthetic pairs."""
