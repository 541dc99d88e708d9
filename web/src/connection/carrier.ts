// The audio of a stream, through the socket and back.

import type { CapturedBlock } from "../audio/worklet-messages";
import { SampleMarks } from "./marks";
import { decode, encode } from "./pcm";

const BACKLOG_S = 0.25; // audio waiting in the socket beyond which blocks are dropped and counted

export class Carrier {
  /** Frames that did not fit through the socket. */
  dropped = 0;
  private readonly marks = new SampleMarks();

  clear(): void {
    this.marks.clear();
  }

  /** Send a block; the result is how much audio has not come back, in seconds. */
  send(socket: WebSocket, block: CapturedBlock, rate: number): number {
    if (socket.bufferedAmount > BACKLOG_S * rate * 2) {
      this.dropped += block.samples.length;
      return 0;
    }
    this.marks.send(block);
    socket.send(encode(block.samples));
    return this.marks.missing / rate;
  }

  /** What came back, and when it was captured; null for audio that nobody sent. */
  receive(data: ArrayBuffer): CapturedBlock | null {
    return this.marks.receive(decode(data));
  }
}
