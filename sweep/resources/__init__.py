"""The machines: a connection to Ray, what they have to train on, whether nodes are alike."""
