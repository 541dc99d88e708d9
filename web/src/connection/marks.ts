// Which sample comes back: the n-th received belongs to the n-th sent.

import type { CapturedBlock } from "../audio/worklet-messages";

interface Mark {
  index: number;
  captured: number;
  posted: number;
}

export class SampleMarks {
  private marks: Mark[] = [];
  private sent = 0; // frames
  private received = 0;

  /** Frames sent that have not come back. */
  get missing(): number {
    return this.sent - this.received;
  }

  clear(): void {
    this.marks = [];
    this.sent = 0;
    this.received = 0;
  }

  send({ samples, captured, posted }: CapturedBlock): void {
    this.marks.push({ index: this.sent, captured, posted });
    this.sent += samples.length;
  }

  /** When the first of `samples` was captured and its block posted; null for audio that nobody sent. */
  receive(samples: Float32Array<ArrayBuffer>): CapturedBlock | null {
    while (this.marks.length > 1 && this.marks[1].index <= this.received) this.marks.shift();
    const mark = this.marks[0];
    if (!mark) return null;
    const captured = mark.captured + this.received - mark.index;
    this.received += samples.length;
    return { samples, captured, posted: mark.posted };
  }
}
