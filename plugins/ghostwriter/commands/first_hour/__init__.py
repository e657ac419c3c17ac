"""What `new` and `doctor` ask, try, write and say: the first hour with a writer of one's own."""
