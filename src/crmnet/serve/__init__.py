"""The web page and the HTTP API of ``crmnet serve``.

The server process checks requests and sends them to one model process, which batches them; designs
run in a second process. The server process does not load torch::

    limits      sizes, numbers and times that a request may have
    errors      errors of the API, all in one form
    schemas     requests and answers of the API
    frames      messages between the processes
    child       starts, watches and restarts a process that computes
    worker      the model process: batches requests, predicts
    answers     requests → answers, in the model process
    design      one design, in the design process
    jobs        designs that clients have started
    examples    promoters to try
    game        the Genomic API for Model Evaluation (GAME)
    safety      checks of each request before it is read; headers of each answer
    connections time limits of connections
    routes      the API, by path
    app         all of this as one application, and its server

Files of the page are in ``static/``.
"""
