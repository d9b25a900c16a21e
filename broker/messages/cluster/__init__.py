"""What gateways, session actors, pool and ledger say to one another over trunks and links.

Never seen by a widget. Every call is a request model, a reply model and a method name; notices
are models sent one way. Versions N and N-1 read each other: readers here ignore unknown fields, and
`broker.messages.tolerance` reads the widgets' parts that travel along.

One module a family, and none of them imported here: a process pays in memory for each model, and
imports what it speaks.
"""
