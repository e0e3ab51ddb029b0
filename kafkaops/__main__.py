"""`python -m kafkaops`."""

from kafkaops.cli.main import main

main()
