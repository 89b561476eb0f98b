//! Quantised checkpoints, told by their configuration, by files beside it, and by the names of their tensors.

use std::path::Path;

use onejump_core::files;
use serde_json::Value;

use crate::ModelError;

/// Files that tools lay beside a config.json that itself says nothing.
const FILES: [(&str, &str); 3] =
    [("quantize_config.json", "gptq"), ("quant_config.json", "awq"), ("hf_quant_config.json", "modelopt")];

/// The ends of names that only quantised checkpoints have.
const TENSORS: [(&str, &str); 16] = [
    (".qweight", "gptq or awq"),
    (".qzeros", "gptq or awq"),
    (".g_idx", "gptq"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale", "compressed-tensors or fp8"),
    (".weight_scale_inv", "fp8"),
    (".input_scale", "fp8"),
    (".scale_weight", "fp8"),
    (".SCB", "bitsandbytes"),
    (".absmax", "bitsandbytes"),
    (".quant_map", "bitsandbytes"),
    (".weight._data", "quanto"),
    (".weight_blocks", "mxfp4"),
    (".W_q", "hqq"),
    (".codebooks", "aqlm"),
    (".scales", "MLX"),
];

/// Refuses a directory whose configuration says that it is quantised.
pub(super) fn check_config(path: &Path, config: &Value) -> Result<(), ModelError> {
    let text = |section: &Value| {
        let method = section["quant_method"].as_str().or(section["quant_algo"].as_str());
        method.map(str::to_owned)
    };
    let said =
        |key: &str| config.get(key).filter(|section| section.as_object().is_none_or(|all| !all.is_empty()));
    for key in ["quantization_config", "compression_config", "quantization"] {
        if let Some(section) = said(key).filter(|section| !section.is_null()) {
            // MLX writes its section under two names, and no method.
            let mlx = config.get("quantization").map(|_| "MLX".to_owned());
            let method = text(section).or(mlx).unwrap_or_else(|| format!("an unnamed method, {section}"));
            return Err(refusal(path, &method));
        }
    }
    for (file, method) in FILES {
        let beside = path.join(file);
        if beside.is_file() {
            let content: Value = files::read_json(&beside)?;
            return Err(refusal(path, text(&content).as_deref().unwrap_or(method)));
        }
    }
    Ok(())
}

/// Refuses a directory whose tensors say that it is quantised.
pub(super) fn check_names<'a>(
    path: &Path,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), ModelError> {
    let method = names.find_map(|name| TENSORS.iter().find(|(end, _)| name.ends_with(end)));
    method.map_or(Ok(()), |(_, method)| Err(refusal(path, method)))
}

pub(super) fn refusal(path: &Path, method: &str) -> ModelError {
    ModelError::Quantised { path: path.to_owned(), method: method.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_method_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = |config: Value| check_config(folder.path(), &config).err().map(|error| error.to_string());
        for plain in [json!({}), json!({"quantization_config": null}), json!({"quantization_config": {}})] {
            assert_eq!(said(plain), None);
        }
        for (config, method) in [
            (json!({"quantization_config": {"quant_method": "awq", "bits": 4}}), "(awq)"),
            (json!({"quantization": {"group_size": 64}, "quantization_config": {"group_size": 64}}), "(MLX)"),
            (json!({"compression_config": {"quant_method": "compressed-tensors"}}), "(compressed-tensors)"),
            (json!({"quantization_config": {"bits": 3}}), "unnamed method, {\"bits\":3}"),
        ] {
            let said = said(config).unwrap();
            assert!(said.contains(method) && said.contains("GGUF"), "{said}");
        }
        std::fs::write(folder.path().join("quantize_config.json"), r#"{"bits": 4}"#).unwrap();
        assert!(said(json!({})).unwrap().contains("(gptq)"));
    }

    #[test]
    fn names_of_plain_checkpoints_are_taken() {
        let check = |name: &str| check_names(Path::new("m"), [name.to_owned()].iter()).is_ok();
        assert!(check("model.layers.0.self_attn.q_proj.weight") && check("model.layers.0.mlp.up_proj.bias"));
        assert!(!check("model.layers.0.mlp.up_proj.qweight") && !check("model.layers.0.mlp.up_proj.scales"));
    }
}
