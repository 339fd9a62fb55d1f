// The contract between the page and the server. Base path: /api/v1. Times are seconds since 1970 (0: unknown).
export interface ApiError { error: { kind: ErrorKind; message: string; reason?: number; found?: number; limit?: number } }
export type ErrorKind =
  | "input" | "not-found" | "unknown-class" | "unknown-sample" | "exists" | "other-encoder" | "refused"   // 400/404/409/422
  | "unauthorised" | "forbidden" | "too-large" | "unsupported-type" | "rate-limited" | "busy"              // 401 403 413 415 429 503
  | "unreachable" | "device-fault";                                                                         // 504 500
export type Source = string;            // 32 hex digits
export interface Proportion { value: number; low: number; high: number; of: number } // 95 % interval (Wilson), `of` trials

// GET /session   (no token needed)
export interface Session { token_required: boolean; authorised: boolean; version: string }
// POST /pair {code: string}  -> {token: string}     (no token needed; 5 tries a minute, then "rate-limited")
// GET /pairing -> Pairing     how another phone pairs; available when authorised
export interface Pairing { url: string | null; code: string | null; qr_svg: string | null; expires_s: number | null }

// GET /device
export interface Device {
  name: string; program: string;
  encoder: { name: string | null; identity: string; feature_dim: number;
             input: { width: number; height: number; channels: number } | null };  // null: unknown (a device on a line)
  samples: number; samples_limit: number; classes: number; classes_limit: number;
  revision: number; now_s: number;
  store: { bytes_programmed: number; erases: number; free_bytes: number; learned: number; learned_bytes: number; learned_erases: number };
  bundle: null | { slot: number; sha256: string; counter: number; state: "confirmed" | "waiting" | "rolled-back" | "arriving";
                   attempts: number | null; reason: string | null; bytes_received: number; bytes_expected: number };
  operating_point: null | OperatingPointReport;
  keeps_images: boolean;
  undo: null | UndoStep;
  queue: { images: number; images_limit: number };
  limits: { upload_bytes: number; image_pixels: number; name_bytes: number };
  state_sha256: string;
}
export interface UndoStep { action: "learn" | "forget" | "move" | "add-class" | "rename-class" | "remove-class" | "import"; class: string; samples: number }

// GET /classes -> Classes ; POST /classes {name} -> {slot, new} ; PATCH /classes/SLOT {name} -> {} ; DELETE /classes/SLOT -> {samples}
export interface Classes { revision: number; classes: Class[] }
export interface Class { slot: number; name: string; samples: number }

// GET /samples[?class=SLOT] -> Samples, newest first
export interface Samples { revision: number; samples: Sample[] }
export interface Sample { source: Source; class: number; operator: number; time_s: number; image: boolean } // image: whether a picture is kept
// POST /samples?class=SLOT&operator=N   body: the bytes of an image file (PNG, JPEG, TIFF, …), any Content-Type image/* or application/octet-stream
export interface Learned { source: Source; class: number; new: boolean; samples: number; elapsed_ms: number }
//   An image that is already a sample of another class: 409 "exists", found = slot of that class.
// PATCH /samples/SOURCE {class: SLOT} -> Learned      moves a sample to another class
// DELETE /samples/SOURCE -> {class: number}
// GET /samples/SOURCE/image[?size=N] -> image/png      at most N pixels on the longer side; 404 if none is kept

// POST /predictions?error_rate=0.1   body: image bytes
export interface Prediction {
  source: Source; learned: number | null;          // slot, if the image is a sample already
  decision: "class" | "several" | "unknown" | "untaught";  // untaught: fewer than two classes have samples
  class: number | null; probability: number | null; known: boolean;
  set: number[]; enough: boolean; shots_needed: number;    // conformal prediction set; it guarantees nothing unless enough
  positive: boolean | null; score: number | null;          // at the operating point; no decision for "I don't know"
  operating_point: null | OperatingPointReport;
  nearest: Neighbour[]; elapsed_ms: number;
}
export interface Neighbour { source: Source; class: number; similarity: number; operator: number; time_s: number; image: boolean }
// POST /predictions/heat-map?class=0   body: image bytes -> image/png   what decided (422 "refused" if the server cannot tell)
// POST /previews   body: image bytes -> image/png     what the encoder sees (422 "refused" if the server does not know)

// GET /quality?error_rate=0.1     leave-one-out over the samples
export interface Quality {
  revision: number; samples: number; evaluated: number;       // classes with one sample are not evaluated
  left_out: number;                                           // most samples that are left out together (1: leave-one-out)
  balanced_accuracy: Proportion | null;
  classes: { slot: number; samples: number; sensitivity: Proportion | null; specificity: Proportion | null }[];
  confusion: { slots: number[]; counts: number[][]; unknown: number[] };   // [true][predicted]; unknown: "I don't know" per true class
  mistaken: { source: Source; class: number; predicted: number | null; probability: number; image: boolean }[]; // worst first, at most 50
}

// GET /settings -> Settings ; PUT /settings Settings -> Settings
export interface Settings {
  error_rate: number;                                    // of prediction sets, 0.001 to 0.5
  operators: { number: number; name: string }[];         // number 1 to 4294967295
  goal: null | { class: number; sensitivity: number; specificity: number };   // 0 to 1
}

// PUT /operating-point OperatingPoint -> OperatingPointReport ; DELETE /operating-point -> {} ; GET /device has it
export type Target = { kind: "sensitivity" | "specificity"; share: number } | { kind: "costs"; missed: number; false_alarm: number };
export interface OperatingPoint { class: number; target: Target }      // share 0.001 to 0.999, costs 1 to 10000
export interface OperatingPointReport extends OperatingPoint {
  threshold: number | null;                                            // lowest score of a positive image; null: too few samples
  sensitivity: Proportion | null; specificity: Proportion | null;      // of the samples, each left out
  promise: number | null; samples_needed: number; enough: boolean;     // promise for new images; null for costs
}

// The queue: images to label; the device asks first about those that it is least sure of.
// GET /queue[?limit=50] -> Queue, most uncertain first
export interface Queue { images: number; images_limit: number; items: QueueItem[] }
export interface QueueItem { id: Source; name: string; added_s: number; prediction: null | Omit<Prediction, "nearest" | "elapsed_ms" | "operating_point"> }
// POST /queue?name=FILE.png   body: image bytes -> {id, new, images}   (409 "exists" if it is a sample already; 507 "refused" when full)
// POST /queue/ID/label {class: SLOT, operator: N} -> Learned           learns it and takes it out of the queue
// DELETE /queue/ID -> {}                                               takes it out without learning it
// GET /queue/ID/image[?size=N] -> image/png

// POST /undo?revision=N -> {undone: UndoStep, undo: UndoStep | null}
//   404 "not-found" when there is nothing to undo, 422 "refused" when the device has another revision
// GET /state -> application/zip (attachment: classes, samples, kept images) ; POST /state?operator=N body: that file -> {learned, known, classes_added}
// GET /audit?limit=100 -> {entries: AuditEntry[]}   newest first
export interface AuditEntry { time_s: number; client: string; operator: number | null; action: string; class: string | null; samples: Source[]; result: "done" | string }
// GET /events   text/event-stream (read with fetch, because EventSource sends no token). Comment lines every 15 s.
//   event: change    data: {"revision": number, "queue": number}
//   event: progress  data: {"task": "import" | "queue", "done": number, "total": number}
// GET /openapi.json
