"""A SLURM cluster of one node, for a test: munge, the controller and the node's daemon, in a folder of their own."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

CONFIGURATION = """\
ClusterName=cryokit
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName={host} CPUs={cores} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def _free_port():
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def node(folder):
    """Start the daemons, and yield the variables that lead SLURM's commands to them."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    values = {"folder": folder, "host": host, "ports": (_free_port(), _free_port()), "cores": os.cpu_count()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\nCgroupPlugin=cgroup/v1\n")
    # Daemons insist on folders that nobody else can write, and pytest's are the user's alone.
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = [f"--key-file={key}", f"--socket={folder / 'munge.socket'}", f"--pid-file={folder / 'munge.pid'}"]
    munge += [f"--seed-file={folder / 'munge.seed'}", f"--log-file={folder / 'munge.log'}"]
    commands = [
        [shutil.which("munged"), "--foreground", "--force", *munge],
        [shutil.which("slurmctld"), "-D"],
        [shutil.which("slurmd"), "-D", "-N", host],
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            log = stack.enter_context(open(folder / f"{os.path.basename(command[0])}.out", "w"))
            daemon = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
            stack.callback(_end, daemon)
            time.sleep(1)
        asked = ["sinfo", "--noheader", "--format=%T"]
        end = time.monotonic() + 60
        while True:
            said = subprocess.run(asked, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
            if said.stdout.strip() in ("idle", "mixed", "allocated"):
                break
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.out")))
            assert time.monotonic() < end, f"SLURM does not start: {said.stdout}{said.stderr}\n{logs}"
            time.sleep(0.5)
        yield environment


def _end(daemon):
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
