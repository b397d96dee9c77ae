"""Kafka: how it is reached, the declared topics, their upkeep and backup."""
