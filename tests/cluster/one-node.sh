#!/usr/bin/env bash
# Runs a command with a Slurm of its own: one node, this machine, on loopback, without systemd,
# accounting or anything in /etc. Afterwards it stops exactly the daemons that it started.
#   one-node.sh COMMAND [ARGUMENT...]
set -euo pipefail
host=$(hostname -s)
programs="slurmctld slurmd sbatch munged"

missing=""
for program in $programs; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing=yes
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "Please install Slurm: apt-get install slurmctld slurmd slurm-client munge" >&2
        exit 2
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq \
        --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null </dev/null
fi
export PATH=$PATH:/usr/sbin

# The daemons' own files; munged insists on folders that nobody else can write to.
base=$(mktemp -d)
daemons=()
command=""
stop() {
    local i pid
    # The command first, with all that it started; it has a while to cancel its jobs.
    if [ -n "$command" ] && kill -INT -- "-$command" 2>/dev/null; then
        for _ in $(seq 150); do
            kill -0 -- "-$command" 2>/dev/null || break
            sleep 0.2
        done
        kill -KILL -- "-$command" 2>/dev/null || true
    fi
    # Jobs would outlive their daemons.
    if [ -n "$command" ]; then
        scancel --user="$(id -un)" 2>/dev/null || true
        for _ in $(seq 50); do
            [ -n "$(squeue -h 2>/dev/null)" ] || break
            sleep 0.2
        done
    fi
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        pid=${daemons[i]}
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$base"
}
trap stop EXIT
trap 'exit 130' INT TERM

mkdir -p "$base"/{state,spool,log,run,bin,munge}
chmod 755 "$base" "$base/munge"
(umask 077 && head -c 1024 /dev/urandom >"$base/munge/key")
# Two ports that are free, so that a second Slurm may run beside this one.
read -ra ports < <(python3 -c '
import socket
pair = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in pair))')
memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
export SLURM_CONF=$base/slurm.conf
export SPATGMM_ONE_NODE=1
# No timings for accounting; a job over its memory is killed, as on a real cluster. Twice the cores
# that there are, since small jobs spend half their time on being started.
cat >"$SLURM_CONF" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$base/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$base/state
SlurmdSpoolDir=$base/spool
SlurmctldPidFile=$base/run/slurmctld.pid
SlurmdPidFile=$base/run/slurmd.pid
SlurmctldLogFile=$base/log/slurmctld.log
SlurmdLogFile=$base/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
MailProg=/bin/true
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
KillWait=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((2 * $(nproc))) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES DefMemPerCPU=1000 MaxTime=INFINITE State=UP
CONF
# Snakemake's jobs drop SLURM_CONF before they call srun.
printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(command -v srun)" >"$base/bin/srun"
chmod +x "$base/bin/srun"
export PATH=$base/bin:$PATH

wait_until() {
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    tail -n 20 "$base"/log/* >&2
    echo "Slurm did not come up" >&2
    exit 1
}
idle() { [ "$(sinfo -h -o %T)" = idle ]; }

munged --foreground --force --key-file="$base/munge/key" --socket="$base/munge/socket" \
    --pid-file="$base/munge/pid" --log-file="$base/log/munged.log" \
    --seed-file="$base/munge/seed" >"$base/log/munged.out" 2>&1 &
daemons+=($!)
wait_until test -S "$base/munge/socket"
slurmctld -D >"$base/log/slurmctld.out" 2>&1 &
daemons+=($!)
wait_until sinfo -h
slurmd -D -N "$host" >"$base/log/slurmd.out" 2>&1 &
daemons+=($!)
wait_until idle

# In a process group of its own: a signal to this script ends the command and then the daemons.
set -m
"$@" &
command=$!
set +m
wait "$command"
