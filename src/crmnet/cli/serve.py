"""``crmnet serve``: calls :func:`crmnet.serve.app.run`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crmnet.cli.options import BatchSizeOption, DeviceOption


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Run folder, packed file or name of a bundled model; may be given again. The "
            "first is the default of the page. Default: yeast and yeast-fast.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. The default answers this computer only; with another "
            "address, such as 0.0.0.0, everyone who reaches it can use the server."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name under which browsers reach the server; may be given again.",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    max_bases: Annotated[int, typer.Option(min=1, help="Longest sequence, in bases.")] = 1_000,
    max_sequences: Annotated[int, typer.Option(min=1, help="Sequences of one request.")] = 1_000,
    max_body: Annotated[
        int, typer.Option(min=1, metavar="BYTES", help="Largest request to the API.")
    ] = 1 << 20,
    request_seconds: Annotated[
        float, typer.Option(help="Time for a client to send a request.")
    ] = 20.0,
    job_seconds: Annotated[float, typer.Option(help="Longest search of a design.")] = 600.0,
    jobs_per_client: Annotated[
        int, typer.Option(min=1, help="Designs of one client that wait or run.")
    ] = 2,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests that wait for the model; more are refused.")
    ] = 256,
    batch_size: BatchSizeOption = 64,
    device: DeviceOption = "auto",
) -> None:
    """Serve a web page and an HTTP API to predict, explain, mutate and design promoters.

    The page works offline. It needs `pip install 'crmnet[serve]'`. Ctrl-C ends the server.

    Examples: `crmnet serve --open` · `crmnet serve --model yeast-fast --port 8080`
    """
    try:
        from crmnet.serve.app import LOCAL, ServeOptions, in_url, run
        from crmnet.serve.limits import Limits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"crmnet serve needs {error.name}: pip install 'crmnet[serve]'"
        ) from error
    if in_url(host) not in LOCAL:
        print(f"warning: everyone who reaches {in_url(host)}:{port} can use this server; it has no "
              "passwords; browsers on other computers need --allow-host NAME, with the name in "
              "their address bar", file=sys.stderr)  # fmt: skip
    limits = Limits(
        sequence_bases=max_bases, sequences=max_sequences, body_bytes=max_body,
        body_seconds=request_seconds, job_seconds=job_seconds, jobs_per_client=jobs_per_client,
        queue=queue,
    )  # fmt: skip
    options = ServeOptions(
        limits=limits, batch=batch_size,
        models=tuple(model or ("yeast", "yeast-fast")), host=host, port=port, device=device,
        allowed_hosts=tuple(allow_host or ()),
    )  # fmt: skip

    def ready(url: str) -> None:
        print(f"open {url} in a browser; Ctrl-C ends the server", flush=True)
        if open_browser:
            import webbrowser

            webbrowser.open(url)

    run(options, ready)
