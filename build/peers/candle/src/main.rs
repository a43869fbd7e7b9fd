//! One measurement of candle as a process of its own: reads a Qwen2 folder, computes a
//! prompt, decodes greedily, prints one line of JSON.
//!
//! usage: candle-peer MODEL_FOLDER f32|bf16 PROMPT_TOKENS DECODE_TOKENS

use anyhow::{bail, Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::qwen2::{Config, ModelForCausalLM};
use serde_json::{json, Value};
use std::{path::Path, time::Instant};

/// The configuration in the form that candle reads: a newer folder has rope_theta in
/// rope_parameters, and may leave out what the older one says.
fn config(folder: &Path) -> Result<(Config, usize)> {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let mut c: Value = serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    if c.get("rope_theta").is_none() {
        c["rope_theta"] = c["rope_parameters"]["rope_theta"].clone();
    }
    let layers = c["num_hidden_layers"].clone();
    for (key, value) in [("use_sliding_window", json!(false)), ("max_window_layers", layers), ("sliding_window", json!(4096))] {
        if c.get(key).is_none_or(Value::is_null) {
            c[key] = value;
        }
    }
    let vocab = c["vocab_size"].as_u64().context("config.json has no vocab_size")? as usize;
    Ok((serde_json::from_value(c).with_context(|| format!("read {}", path.display()))?, vocab))
}

/// Every safetensors file of the folder.
fn weights(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} has no safetensors file", folder.display());
    }
    Ok(files)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, dtype, prompt, decode] = args.as_slice() else {
        bail!("usage: candle-peer MODEL_FOLDER f32|bf16 PROMPT_TOKENS DECODE_TOKENS");
    };
    let dtype = match dtype.as_str() {
        "f32" => DType::F32,
        "bf16" => DType::BF16,
        other => bail!("element type {other}: want f32 or bf16"),
    };
    let (prompt, decode): (usize, usize) = (prompt.parse().context("PROMPT_TOKENS")?, decode.parse().context("DECODE_TOKENS")?);
    if prompt == 0 {
        bail!("PROMPT_TOKENS is 0: give at least 1");
    }
    let folder = Path::new(folder);
    let device = Device::Cpu;
    let began = Instant::now();
    let (config, vocab) = config(folder)?;
    // Sound while nobody changes the files, which are ours.
    let vars = unsafe { VarBuilder::from_mmaped_safetensors(&weights(folder)?, dtype, &device)? };
    let mut model = ModelForCausalLM::new(&config, vars)?;
    let load = began.elapsed().as_secs_f64();

    // The same ids as the other programs of this comparison take.
    let ids: Vec<u32> = (0..prompt).map(|i| ((i * 7919 + 13) % vocab) as u32).collect();
    let mut step = |ids: &[u32], past: usize| -> Result<u32> {
        let input = Tensor::new(ids, &device)?.unsqueeze(0)?;
        let logits = model.forward(&input, past)?.squeeze(0)?.squeeze(0)?.to_dtype(DType::F32)?;
        Ok(logits.argmax(0)?.to_scalar::<u32>()?)
    };
    let began = Instant::now();
    let mut next = step(&ids, 0)?;
    let prefill = began.elapsed().as_secs_f64();
    let mut out = vec![next];
    let began = Instant::now();
    for i in 0..decode {
        next = step(&[next], prompt + i)?;
        out.push(next);
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "load_seconds": load,
            "prompt_tokens": prompt, "prefill_tok_per_s": prompt as f64 / prefill,
            "decode_tokens": decode, "decode_tok_per_s": if decode > 0 { decode as f64 / took } else { 0.0 },
            "first_ids": &out[..out.len().min(8)],
        })
    );
    Ok(())
}
