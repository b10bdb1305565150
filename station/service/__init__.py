"""The engine as a service without a window: `station run`, the protocol of its clients, and the client itself.

docs/service.md states the protocol. Nothing here knows Qt, and nothing that a client does can delay the engine: events
are encoded once and put into a bounded outbox per client, and a client that does not read is dropped.
"""
