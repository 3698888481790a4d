"""The command line. A command is a few lines here and a module of its own, imported when it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from deploy.local import running
from deploy.local.errors import StartError
from deploy.local.folder import CHECKOUT, DataFolder, default_data_folder
from deploy.local.pack import pack_app

DEFAULT_PORT = 8000
app = typer.Typer(
    name="sural",
    help="Triage of pain behind the knee, in the calf and behind the ankle: a sandbox on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(pack_app, name="pack")
audit_app = typer.Typer(help="The record of who did what.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where everything is kept [default: .sural]")
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on the loopback address")]


def main() -> None:
    """Run a command. An expected failure is a sentence and a remedy on standard error, and exit code 1."""
    try:
        app()
    except StartError as error:
        print(f"sural: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def up(
    port: PortOption = DEFAULT_PORT,
    data: DataOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready")] = False,
    mode: Annotated[str | None, typer.Option("--mode", help="sandbox, or production with access tokens")] = None,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C or `down`."""
    from deploy.local.environment import PRODUCTION, SANDBOX

    if mode is not None:
        if mode not in (SANDBOX, PRODUCTION):
            raise StartError(f"There is no mode {mode}.", f"Use --mode {SANDBOX} or --mode {PRODUCTION}.")
        os.environ["SURAL_MODE"] = mode
    folder = _open(data)
    if system := running.find(folder):
        print(f"Sural already runs at {system.url} on the data in {folder.path}.")
        return
    from deploy.local.up import run, run_detached

    if detach:
        run_detached(folder, port=port)
        _welcome(folder, port, ending="./sural down")
        return
    print("Starting PostgreSQL, Valkey and the services ...", flush=True)
    run(folder, port=port, ready=lambda: _welcome(folder, port, ending="Ctrl-C"))
    print("Stopped.")


@app.command()
def down(data: DataOption = None) -> None:
    """Stop what `up` started; the data stay."""
    print("Stopped." if running.stop(_folder(data)) else "Sural does not run.")


@app.command()
def status(data: DataOption = None) -> None:
    """Show what runs and what waits. Exit code 1 unless everything runs."""
    from deploy.local.status import show

    folder = _folder(data)
    system = running.find(folder)
    if system is None:
        print("Sural does not run. Start it with ./sural up.")
    if system is None or not show(folder, system, Console()):
        raise typer.Exit(1)


@app.command()
def doctor(
    port: PortOption = DEFAULT_PORT,
    data: DataOption = None,
    send_test: Annotated[bool, typer.Option("--send-test", help="Send a marked test message instead")] = False,
    to: Annotated[
        str | None, typer.Option("--to", metavar="PERSON", help="to this person of the on-call document")
    ] = None,
) -> None:
    """Check this machine; each failure comes with a remedy. Exit code 1 if there is one."""
    if send_test or to:
        from services.notify import trial
        from services.notify.settings import NotifySettings

        with _database(_open(data)) as variables:
            if not trial.run(NotifySettings.load(variables), to):
                raise typer.Exit(1)
        return
    from deploy.local.doctor import examine

    console, failures = Console(highlight=False), 0
    for finding in examine(_folder(data), port=port):
        mark = "[green]ok  [/]" if finding.remedy is None else "[red]FAIL[/]"
        console.print(f"{mark} {finding.name}: {escape(finding.found)}", soft_wrap=True)
        if finding.remedy is not None:
            failures += 1
            console.print(f"     {escape(finding.remedy)}", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@app.command()
def migrate(data: DataOption = None) -> None:
    """Bring the database of SURAL_DATABASE_URL (else the embedded one) up to date."""
    from deploy.local.migrate import migrate_all

    with _database(_open(data)) as variables:
        for service, names in migrate_all(variables).items():
            print(f"{service}: {', '.join(names) or 'up to date'}")


@app.command()
def config(port: PortOption = DEFAULT_PORT, data: DataOption = None) -> None:
    """Show the settings that the services get, with secrets hidden."""
    from deploy.local.environment import child_variables, server_variables, shown
    from deploy.local.servers import embedded_servers

    folder = _open(data)
    urls = {name: server.url for name, server in embedded_servers(folder.path, os.environ).items()}
    servers = server_variables(os.environ, urls, folder)
    for name, value in shown(servers | child_variables(os.environ, servers, data=folder, port=port)).items():
        print(f"{name}={value}")


@app.command()
def demo(port: PortOption = DEFAULT_PORT, data: DataOption = None) -> None:
    """Post the shipped examples and follow each to its alert. Exit code 1 if one goes wrong."""
    from deploy.local.demo_table import show
    from deploy.local.up import run_detached

    folder = _open(data)
    system = running.find(folder)
    if (system.mode if system else os.environ.get("SURAL_MODE") or "sandbox") != "sandbox":
        raise StartError("This is no sandbox: the demonstration would alert real people.", "Use a sandbox for it.")
    if system is None:
        print("Starting Sural for the demonstration ...", flush=True)
        run_detached(folder, port=port)
    try:
        as_expected = show(system.url if system else f"http://127.0.0.1:{port}", Console())
    finally:
        if system is None:
            running.stop(folder)
    if not as_expected:
        raise typer.Exit(1)


@app.command()
def triage(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the FHIR resources, one line a file")] = False,
) -> None:
    """Assess QuestionnaireResponse files without any server. Exit code 1 if one cannot be assessed."""
    from deploy.local.triage_output import print_triaged

    outcomes = [print_triaged(file, as_json=as_json) for file in files]
    if not all(outcomes):
        raise typer.Exit(1)


@app.command()
def evaluate(
    cases: Annotated[Path, typer.Argument(metavar="CASES.jsonl")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    reading: Annotated[str | None, typer.Option("--reading", help="Only one of the three readings")] = None,
    drop_facts: Annotated[bool, typer.Option("--drop-facts", help="Also drop each fact in turn")] = False,
) -> None:
    """Run clinical cases through the engine and measure how often the result is right. Exit code 2 for bad input."""
    from deploy.local.evaluation.command import evaluate_file

    raise typer.Exit(evaluate_file(cases, as_json=as_json, reading=reading, drop_facts=drop_facts))


@app.command()
def bench(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only see within a minute that all can be measured")] = False,
    growth: Annotated[bool, typer.Option(help="Also with 1 million stored responses: minutes, and 12 GB")] = True,
    large: Annotated[bool, typer.Option("--large", help="Also with 10 million stored responses")] = False,
    peers: Annotated[bool, typer.Option("--peers", help="Also what others take for the same posts")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Keep result, plot and page here")] = None,
    alerts: Annotated[
        int, typer.Option("--alerts", min=0, metavar="NUMBER", help="Measure so many emergencies instead")
    ] = 0,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=200, help="of them a second")] = 20,
) -> None:
    """Measure cost, throughput, latency and memory in a system of its own. Exit code 1 if a response was lost.

    With --alerts: how soon so many emergencies are told of in a whole sandbox of its own.
    """
    from deploy.local.benchmark import command

    if alerts:
        command.alerts(alerts, rate=rate, as_json=as_json)
    elif not command.bench(as_json=as_json, smoke=smoke, growth=growth, large=large, peers=peers, out=out):
        raise typer.Exit(1)


@app.command()
def faults(
    long: Annotated[bool, typer.Option("--long", help="All of it, with a soak of 30 minutes; takes 50 in all")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Repeat the run that named this seed")] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="F1,F2", help="Only these faults")] = None,
    soak: Annotated[
        float | None, typer.Option("--soak", min=0, metavar="MINUTES", help="How long the soak lasts")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep here, after each fault, what was found so far")
    ] = None,
) -> None:
    """Break a whole sandbox of its own in every way, and look for what was lost. Exit code 1 for a broken promise."""
    from deploy.local.faults.command import run_faults

    if not run_faults(long=long, seed=seed, only=only, soak=soak, as_json=as_json, out=out):
        raise typer.Exit(1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def client(context: typer.Context, data: DataOption = None) -> None:
    """Register systems that may ask for access tokens: add, list, disable, keys, token-key (each with --help)."""
    from deploy.local.client import run_command

    folder = _open(data)
    system = running.find(folder)
    mode = system.mode if system else os.environ.get("SURAL_MODE") or "sandbox"
    raise typer.Exit(run_command(context.args, lambda: _database(folder), mode=mode, migrate=system is None))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def policy(context: typer.Context, data: DataOption = None) -> None:
    """Say who is on call and how alerts escalate: check, apply, show, who, calendar (each with --help)."""
    from deploy.local.policy import run_command

    runs = running.find(_folder(data)) is not None
    raise typer.Exit(run_command(context.args, lambda: _database(_open(data)), migrate=not runs))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def account(context: typer.Context, data: DataOption = None) -> None:
    """Keep the accounts of people who sign in to the pages: add, list, disable, enable, reset (each with --help)."""
    from deploy.local.account import run_command

    runs = running.find(_folder(data)) is not None
    raise typer.Exit(run_command(context.args, lambda: _database(_open(data)), migrate=not runs))


@audit_app.command("verify")
def audit_verify(
    data: DataOption = None,
    head: Annotated[
        list[str] | None, typer.Option("--head", help="A head printed earlier: the chain must still hold it")
    ] = None,
) -> None:
    """Check that nothing in the audit was changed, and print the head of each chain. Exit code 1 if something was."""
    from deploy.local.audit import show, verify_all

    with _database(_open(data)) as variables:
        if not show(verify_all(variables, head or [])):
            raise typer.Exit(1)


@app.command()
def verify(
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
    days: Annotated[int, typer.Option("--days", min=1, help="Look at what changed in these days")] = 7,
    everything: Annotated[bool, typer.Option("--all", help="Look at everything there is")] = False,
    quiet_s: Annotated[float, typer.Option("--quiet", min=0, help="Seconds for which things may be on their way")] = 60,
    recompute: Annotated[int, typer.Option("--recompute", min=0, help="Make so many assessments again")] = 20,
) -> None:
    """Check that nothing was lost, doubled or forgotten; reads only. Exit code 1 if something was."""
    from deploy.local.verify import command

    with _database(_open(data)) as variables:
        url = variables["SURAL_DATABASE_URL"]
        found = command.run(url, days=None if everything else days, quiet_s=quiet_s, recompute=recompute)
    if not command.show(found, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def backup(file: Annotated[Path, typer.Argument(metavar="FILE")], data: DataOption = None) -> None:
    """Save the whole database into a file; the system may run meanwhile."""
    from deploy.local.backup import save

    folder = _open(data)
    with _database(folder) as variables:
        size = save(variables, folder, file)
    print(f"Saved: {file}, {size / 1e6:.1f} MB. The folder `secrets` is not in it: keep that too, elsewhere.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(metavar="FILE")], data: DataOption = None) -> None:
    """Bring a saved database back into an empty one. Exit code 1 when what was saved is not whole."""
    from deploy.local.backup import restore as bring_back
    from deploy.local.verify.command import show

    folder = _open(data)
    if running.find(folder):
        raise StartError("Sural runs on these data.", "Stop it with ./sural down, or name a new folder (--data).")
    with _database(folder) as variables:
        whole = show(bring_back(variables, folder, file), as_json=False)
    if not whole:
        raise typer.Exit(1)
    print("Restored. Start it with ./sural up.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run all tests, a few files at the same time; or, with arguments, what they tell pytest."""
    os.chdir(CHECKOUT)
    everything = ["-n", str((os.cpu_count() or 1) + 2), "--dist", "loadfile"]  # most tests wait for something
    command = [sys.executable, "-m", "pytest", *(context.args or everything)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@contextmanager
def _database(folder: DataFolder) -> Iterator[dict[str, str]]:
    """The whole environment, owner's URL included, with the embedded servers running meanwhile."""
    from deploy.local.environment import child_variables, server_variables
    from deploy.local.servers import embedded_servers

    servers = embedded_servers(folder.path, os.environ)
    runs = running.find(folder) is not None
    try:
        urls = {name: server.url if runs else server.start() for name, server in servers.items()}
        variables = server_variables(os.environ, urls, folder)
        yield child_variables(os.environ, variables, data=folder, port=DEFAULT_PORT) | variables
    finally:
        for server in servers.values():
            server.stop()


def _folder(data: Path | None) -> DataFolder:
    """The folder to look into; it need not exist."""
    return DataFolder((data or default_data_folder()).absolute())


def _open(data: Path | None) -> DataFolder:
    """The folder to work in, made where missing."""
    return DataFolder.open(_folder(data).path)


def _welcome(folder: DataFolder, port: int, *, ending: str) -> None:
    """What the user can open now."""
    from deploy.local.environment import shown

    base = f"http://127.0.0.1:{port}"
    mail_server = shown(os.environ).get("SURAL_SMTP_URL")
    sandbox = (os.environ.get("SURAL_MODE") or "sandbox") == "sandbox"
    lines = [
        ("Sural", f"{base}/"),
        ("Worklist", f"{base}/worklist"),
        ("FHIR base", f"{base}/fhir"),
        ("Mail", mail_server or f"http://127.0.0.1:{folder.port('mail-inbox')}/"),
        ("Data", str(folder.path)),
        ("Stop", ending),
    ]
    if sandbox:
        print("SANDBOX: loopback only, no sign-in, test data only. Nobody is alerted.")
    else:
        print("PRODUCTION: systems need access tokens (./sural client add), people accounts (./sural account add).")
        print("Alerts go to people.")
        lines.insert(1, ("Token", f"{base}/auth/token"))
    for name, value in lines:
        print(f"  {name:<10} {value}", flush=True)
