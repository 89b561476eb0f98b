//! The scripts that `sbatch` takes.

use std::path::Path;

use onejump_core::shard::Shard;

use super::Options;

/// Seconds before its time limit at which a job is asked to stop: enough for the part or the level at hand.
const WARNING_SECONDS: usize = 120;

/// The tasks of a job array.
pub(super) struct Tasks<'a> {
    /// Those that are submitted; each does the share of its number.
    pub shares: &'a [Shard],
}

/// A job.
pub(super) struct Script<'a> {
    /// The unit, or what comes before the share in the names of an array's units.
    pub name: &'a str,
    /// Of an array.
    pub tasks: Option<Tasks<'a>>,
    /// The jobs that it waits for.
    pub after: &'a [String],
    /// Whether it computes what a GPU is for.
    pub captures: bool,
}

impl Script<'_> {
    /// The text of the script.
    pub fn text(&self, options: &Options, command: &[String], folder: &Path, logs: &Path) -> String {
        let Self { name, tasks, after, captures } = self;
        let share = |number: &str| match tasks {
            Some(Tasks { shares: [Shard { count, .. }, ..] }) => format!(".{number}-of-{count}"),
            _ => String::new(),
        };
        // In the pattern of a log's name Slurm reads %a as the task; a per cent sign of the folder's is doubled.
        let log = logs.display().to_string().replace('%', "%%");
        let mut lines = vec![
            format!("--job-name=onejump-{name}"),
            format!("--chdir={}", quoted(&folder.display().to_string())),
            format!("--output={}", quoted(&format!("{log}/{name}{}.log", share("%a")))),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            format!("--signal=B:TERM@{WARNING_SECONDS}"),
            "--kill-on-invalid-dep=yes".to_owned(),
        ];
        if let Some(Tasks { shares }) = tasks {
            let numbers: Vec<_> = shares.iter().map(|share| share.index.to_string()).collect();
            lines.push(format!("--array={}", numbers.join(",")));
        }
        if !after.is_empty() {
            lines.push(format!("--dependency=afterok:{}", after.join(":")));
        }
        let gres = options.gres.as_ref().filter(|_| *captures);
        let given =
            [("partition", options.partition.as_ref()), ("gres", gres), ("time", options.time.as_ref())];
        lines.extend(
            given.into_iter().filter_map(|(option, value)| Some(format!("--{option}={}", quoted(value?)))),
        );
        lines.extend(options.sbatch.iter().cloned());
        let directives: String = lines.iter().map(|line| format!("#SBATCH {line}\n")).collect();
        let words: Vec<_> = command.iter().map(|word| quoted(word)).collect();
        let program = format!("{} --stage {name}{}", words.join(" "), share("$SLURM_ARRAY_TASK_ID"));
        let enough = match captures {
            true => "false".to_owned(),
            false => format!(r#"[ "${{SLURM_RESTART_COUNT:-0}}" -ge {MOST_RESTARTS} ]"#),
        };
        let body = BODY.replace("PROGRAM", &program).replace("ENOUGH", &enough);
        format!("#!/bin/bash\n{directives}{body}")
    }
}

/// How often a job begins again that keeps nothing of what is half done. A capture keeps its parts, and goes on as often
/// as it takes.
const MOST_RESTARTS: usize = 2;

/// What a job does. The shell gets the signal before the time limit, and passes it on.
const BODY: &str = r#"
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
# Of an array, SLURM_JOB_ID may stand for all tasks.
job=${job:-$SLURM_JOB_ID}
PROGRAM &
program=$!
trap 'signalled=1; kill -TERM $program 2> /dev/null' TERM
while true; do
    signalled=
    wait $program
    status=$?
    # A signal ends the wait, not the program, which stops after the work at hand.
    [ -n "$signalled" ] || break
done
# Stopped, and the job still runs: its time was nearly over. A job that is cancelled does not run any more.
if [ $status = 143 ] && [ "$(squeue --noheader --jobs="$job" --format=%T)" = RUNNING ]; then
    if ENOUGH; then
        echo "stopped before the time limit once more, and half of this is not kept; submit again with a longer --time"
    else
        echo "stopped before the time limit; queued again"
        scontrol requeue "$job"
    fi
fi
exit $status
"#;

/// A word as the shell, and Slurm, read it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
