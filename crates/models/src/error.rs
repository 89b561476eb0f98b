//! What can be wrong with a checkpoint or with what a model is asked for.

use std::path::{Path, PathBuf};

use onejump_core::files::FileError;
use onejump_fetch::FetchError;
use onejump_gguf::GgufError;
use onejump_simd::Format;

/// A checkpoint that cannot be used, or an input that its model cannot take.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such model, or it cannot be downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A GGUF file cannot be used.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A checkpoint is incomplete or not understood.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// No family of models has this name.
    #[error("{}: model_type '{model_type}' is not supported; known: {}", path.display(), known.join(", "))]
    UnknownArchitecture {
        /// The checkpoint.
        path: PathBuf,
        /// What its configuration says.
        model_type: String,
        /// What it could say.
        known: Vec<&'static str>,
    },
    /// A checkpoint lacks a tensor.
    #[error("{}: has no tensor '{name}'", path.display())]
    MissingTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A checkpoint has tensors that nobody read, so that it is another model than its configuration says.
    #[error("{}: has tensors that are not used: {}; {reason}", path.display(), listed(names))]
    UnreadTensors {
        /// The checkpoint.
        path: PathBuf,
        /// The tensors' names.
        names: Vec<String>,
        /// What that means.
        reason: String,
    },
    /// A checkpoint has no head, and its embedding is not one.
    #[error(
        "{}: has no tensor 'lm_head.weight', and tie_word_embeddings is false, so the embedding is not the head \
         either{}; hidden states can be captured, but not turned into tokens",
        path.display(),
        architectures.as_ref().map_or(String::new(), |names| format!(" (its architectures: {names})"))
    )]
    NoHead {
        /// The checkpoint.
        path: PathBuf,
        /// What its configuration says that it is.
        architectures: Option<String>,
    },
    /// A checkpoint has no form for conversations.
    #[error(
        "{}: has no chat template (chat_template.jinja, 'chat_template' of tokenizer_config.json, or a GGUF file's \
         tokenizer.chat_template): it is no model for conversations",
        path.display()
    )]
    NoChatTemplate {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A chat template is not understood, or refuses a conversation.
    #[error("{}: its chat template refuses: {reason}", path.display())]
    ChatTemplate {
        /// The template's file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// A checkpoint holds quantised weights in a form that is not read.
    #[error(
        "{}: is quantised ({method}), and only floating-point weights are read; save it dequantised \
         (transformers: AutoModelForCausalLM.from_pretrained(...), .dequantize(), .save_pretrained(...)), take the \
         checkpoint that it was made from, or a GGUF file of the model",
        path.display()
    )]
    Quantised {
        /// The checkpoint.
        path: PathBuf,
        /// How it was quantised.
        method: String,
    },
    /// A tensor does not fit the configuration.
    #[error(
        "{}: tensor '{name}' has the shape {found:?}, the configuration asks for {expected:?}",
        path.display()
    )]
    TensorShape {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<i64>,
        /// The shape that the configuration asks for.
        expected: Vec<i64>,
    },
    /// A tensor holds NaN or infinity.
    #[error("{}: tensor '{name}' has NaN or infinity", path.display())]
    NotFinite {
        /// The checkpoint.
        path: PathBuf,
        /// The tensor's name.
        name: String,
    },
    /// A weight is larger than anything in the format that it was to be rounded to.
    #[error("a weight is too large for {format}; keep the weights in f32 or bf16, or as they are")]
    TooLargeFor {
        /// The format.
        format: Format,
    },
    /// A directory has no tokenizer.
    #[error(
        "{}: has no tokenizer.json; save it with AutoTokenizer.from_pretrained(...).save_pretrained(...)",
        path.display()
    )]
    NoTokenizer {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The configuration asks for rotary embeddings that are not known.
    #[error("{0}")]
    Rotary(String),
    /// A name stands for no type to compute in.
    #[error("'{0}' is no type to compute in; known: f32, tf32, bf16, f16")]
    UnknownDtype(String),
    /// TF32 is asked for on a processor.
    #[error("tf32 is a type of GPUs alone; use --dtype f32")]
    Tf32OnCpu,
    /// A GPU would compute f32 in another way than it is asked to.
    #[error("to compute in {dtype} on a GPU, this process has to start with {variable}={value}")]
    Tf32Variable {
        /// What is asked for.
        dtype: String,
        /// What libtorch reads.
        variable: &'static str,
        /// What it has to be.
        value: &'static str,
    },
    /// A name stands for no device.
    #[error("'{0}' is no device; known: cpu, cuda, cuda:N, auto")]
    UnknownDevice(String),
    /// A GPU is asked for, and libtorch has no functions for any.
    #[error(
        "device '{name}': {libtorch} has no CUDA; bring one (cargo xtask setup --cuda), let LD_LIBRARY_PATH name the \
         torch/lib of a PyTorch with CUDA of the same version, or use --device cpu"
    )]
    NoCuda {
        /// What was asked for.
        name: String,
        /// The libtorch, in words.
        libtorch: String,
    },
    /// A GPU is asked for, libtorch could use one, and there is none.
    #[error(
        "device '{name}': libtorch has CUDA, but there is no GPU, or no driver for it that is new enough; see what \
         nvidia-smi says, or use --device cpu"
    )]
    NoGpu {
        /// What was asked for.
        name: String,
    },
    /// There are GPUs, but not this one.
    #[error("device '{name}': there is no such GPU among the {gpus} here; known: cuda:0 to cuda:{}", gpus - 1)]
    NoSuchGpu {
        /// What was asked for.
        name: String,
        /// How many GPUs there are; not 0.
        gpus: usize,
    },
    /// A beginning-of-sequence token is wanted, and the model has none.
    #[error(
        "--bos always: neither the tokenizer nor the model's configuration has a beginning-of-sequence token"
    )]
    NoBosToken,
    /// A sequence is empty or too long.
    #[error("a sequence of {found} tokens; the model takes 1 to {context}")]
    SequenceLength {
        /// Its length.
        found: usize,
        /// The longest that the model takes.
        context: i64,
    },
    /// The wanted positions of a sequence make no sense.
    #[error(
        "a sequence of {length} tokens: the wanted positions must ascend, and lie in it; there is at least one"
    )]
    Positions {
        /// Its length.
        length: usize,
    },
    /// A session has no room for more tokens.
    #[error("a text of {found} tokens; the session has room for {capacity}")]
    SessionFull {
        /// How many tokens the text would have.
        found: usize,
        /// How many there is room for.
        capacity: usize,
    },
    /// The system refuses threads.
    #[error("threads cannot be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A token is not in the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    TokenId {
        /// The token.
        id: i64,
        /// V.
        vocab_size: i64,
    },
    /// A level lies behind the last block.
    #[error("there is no level {level}: the model has {blocks} blocks")]
    NoLevel {
        /// What was asked for.
        level: usize,
        /// K.
        blocks: usize,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let first = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first} and {} more", names.len() - SHOWN) } else { first }
}

impl ModelError {
    pub(crate) fn checkpoint(path: &Path, reason: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_owned(), reason: reason.into() }
    }
}
