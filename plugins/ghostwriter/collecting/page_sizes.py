"""How many answers a page has, of the sources that are read over the network; light, since DAG files ask."""

PAGE_SIZES = {"zhihu": 20, "stackexchange": 100}
