// What dropped files are, by their names; what they hold is the server's to judge.

export type ModelFiles = { model: File; index: File | null };
export type Sorted = { bundles: File[]; models: ModelFiles[]; audio: File[]; other: File[] };

const MODEL = /\.(pth|pt|safetensors|onnx)$/i;
const AUDIO = /\.(wav|flac|mp3|m4a|aac|ogg|oga|opus|webm|mp4|aif|aiff|wma)$/i;

const stem = (file: File) => file.name.replace(/\.[^.]+$/, "").toLowerCase();

export function sorted(files: readonly File[]): Sorted {
  const of = (pattern: RegExp) => files.filter(({ name }) => pattern.test(name));
  const bundles = of(/\.menura$/i);
  const audio = files.filter(
    (file) => AUDIO.test(file.name) || (file.type.startsWith("audio/") && !bundles.includes(file)),
  );
  const { models, left } = paired(of(MODEL), of(/\.index$/i));
  const known = [...bundles, ...audio, ...of(MODEL), ...of(/\.index$/i)];
  return { bundles, models, audio, other: [...files.filter((file) => !known.includes(file)), ...left] };
}

/** An index belongs to the model whose name it has in it; one that is left over to the one model without. */
function paired(models: File[], indices: File[]): { models: ModelFiles[]; left: File[] } {
  const left = [...indices];
  const made = models.map((model): ModelFiles => {
    const at = left.findIndex((index) => stem(index).includes(stem(model)));
    return { model, index: at < 0 ? null : (left.splice(at, 1)[0] ?? null) };
  });
  const [lonely, ...more] = made.filter(({ index }) => !index);
  if (lonely && !more.length && left.length === 1) lonely.index = left.pop() ?? null;
  return { models: made, left };
}

/** A first suggestion for a voice's name: the file's, without what trainers add. */
export function suggestion(file: File): string {
  const plain = file.name
    .replace(/\.[^.]+$/, "")
    .replace(/[_-](e\d+|s\d+|v[12]|f0|\d+k)(?=[_-]|$)/gi, "")
    .replace(/[_-]+/g, " ")
    .trim();
  return (plain || file.name).slice(0, 80);
}
