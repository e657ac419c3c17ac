"""What several benchmarks are made of: invented writers and their chain, a cheap teacher, a tiny base, a watched process."""
