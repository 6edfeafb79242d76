"""The machines: a connection to Ray, what there is to train on, whether all nodes are alike."""
