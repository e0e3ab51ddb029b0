"""The only code that speaks to the outside: Kafka, AWS, hosts. Errors are translated here."""
