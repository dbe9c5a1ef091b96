//! The steps of a run, with a checkpoint every so often.
use std::path::PathBuf;

use super::{Event, Observer, RunDirectory, RunError, RunResult};
use crate::training::trainer::Trainer;

/// How the steps ended.
pub(super) enum Gone {
    Through,
    Stopped { step: u64, checkpoint: PathBuf },
}

/// Goes on where the newest whole checkpoint of `directory` ends.
pub(super) fn resume(
    trainer: &mut Trainer,
    directory: &RunDirectory,
    observer: &mut dyn Observer,
) -> RunResult<()> {
    let Some(found) = directory.checkpoints().newest()? else {
        return directory.truncate(0);
    };
    trainer.restore(&found.state)?;
    directory.truncate(found.step)?;
    observer.hear(&Event::Resumed {
        step: found.step,
        damaged: found.damaged.iter().map(ToString::to_string).collect(),
    });
    Ok(())
}

/// Takes the steps that are left; `show` is called between two of them.
pub(super) fn go(
    trainer: &mut Trainer,
    checkpoint_every: u64,
    directory: &RunDirectory,
    observer: &mut dyn Observer,
    show: &mut dyn FnMut(&Trainer, &mut dyn Observer) -> RunResult<()>,
) -> RunResult<Gone> {
    let mut written = directory.checkpoints().newest()?.map(|found| found.path);
    while !trainer.is_through() {
        let report = trainer.step(&mut || observer.turn())?;
        directory.append(&report)?;
        observer.hear(&Event::Step(&report));
        let done = trainer.done();
        let stop = observer.go_on().is_break();
        let due = observer.wants_checkpoint()
            || done.is_multiple_of(checkpoint_every)
            || trainer.is_through();
        // what a skipped step leaves may be what made it spike
        if stop || due && report.skipped.is_none() {
            let path = directory.checkpoints().write(done, &trainer.state())?;
            observer.hear(&Event::Checkpoint(&path));
            written = Some(path);
        }
        if trainer.gives_up() {
            return Err(RunError::GaveUp {
                step: done,
                why: report.skipped,
                checkpoint: written,
            });
        }
        if trainer.is_through() {
            break;
        }
        show(trainer, observer)?;
        if stop {
            let checkpoint = written.unwrap_or_default();
            return Ok(Gone::Stopped {
                step: done,
                checkpoint,
            });
        }
    }
    Ok(Gone::Through)
}
