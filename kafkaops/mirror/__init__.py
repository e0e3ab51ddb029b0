"""MirrorMaker 2 driven: its configuration rendered, its worker run, its flow watched."""
