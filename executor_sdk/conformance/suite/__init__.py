"""The checks, one file an area; each proves the requirement that its mark names.

The suite judges by its own eyes where one fault could hide in the kit and here alike: it calls through an HTTP client
of its own and not through `ExecutorClient`, and states the hashes of the policies and their reason codes itself. It
shares three things with the kit, because recordings of a running kernel prove each of them: the bodies of requests
(`client.asks`), the shapes of answers (`protocol.wire`), and the rules for candidates (`policies.candidates`).
"""
