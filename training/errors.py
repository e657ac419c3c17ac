"""The errors of the training side that a person can act on; each ends the process with one line and exit status 1.

TrainingError
├── BaseModelError   the base cannot be found, loaded, or taught with frozen embeddings
├── DatasetError     the dataset cannot be trained on
├── QuestionError    the multiplication check has no such question
├── AdapterError     an adapter cannot be used on this base
├── ExportError      an adapter cannot be exported so, or the export answers otherwise
├── CheckpointError  the run folder belongs to another training
├── NonFiniteLoss    a loss or gradient that is not a number
├── OutOfMemory      one row does not fit into memory
├── LostProcess      another process of the same training has ended
└── RemoteDataError  data could not be fetched from or sent to its URL

Stopped              SIGTERM or SIGINT arrived; what was done is kept (exit status 143)
"""

import pickle
import zipfile

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What `torch.load` and the code around it raise for a file that was cut or damaged."""

STOPPED_STATUS = 143
"""Exit status of a process that ended because it was asked to."""

LOST_STATUS = 144
"""Exit status of a process that ended only because another one of its training did: there is nothing to correct here."""


class TrainingError(Exception):
    """Base of all that end a stage with one line on standard error."""


class BaseModelError(TrainingError):
    """The base model cannot be found, loaded, or trained with frozen embeddings."""


class DatasetError(TrainingError):
    """A row or file of the dataset cannot be used."""


class QuestionError(TrainingError):
    """A number, a phrasing or an amount that the multiplication check has no questions for."""


class AdapterError(TrainingError):
    """An adapter folder is not one for this base."""


class ExportError(TrainingError):
    """An adapter cannot be exported in this form, or the export does not answer as the adapter does."""


class CheckpointError(TrainingError):
    """A run folder holds checkpoints of another training."""


class NonFiniteLoss(TrainingError):
    """A loss or a gradient norm was NaN or infinite."""


class OutOfMemory(TrainingError):
    """A single row does not fit into the device's memory."""


class LostProcess(TrainingError):
    """Another process of this training has ended, so that nothing can be summed any more."""


class RemoteDataError(TrainingError):
    """Data could not be fetched from or sent to its URL."""


class Stopped(Exception):
    """The process was asked to end; everything done so far is kept."""
