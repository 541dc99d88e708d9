// Runs the connection in a thread of its own, so that a busy page never holds up the audio.

import { Connection } from "./connection";
import type { Ask } from "./link";

let connection: Connection | undefined;

function obey(asked: Ask): void {
  switch (asked.ask) {
    case "open":
      connection = new Connection(asked.url, (told) => postMessage(told), asked.token);
      break;
    case "voice":
      connection?.selectVoice(asked.id);
      break;
    case "hold":
      connection?.hold(asked.held);
      break;
    case "start":
      connection?.start(asked.stream);
      break;
    case "request":
      connection?.request(asked.id, asked.action, asked.fields);
      break;
    case "poll":
      connection?.poll(asked.interval_ms);
      break;
    case "stop":
      connection?.stop();
      break;
    case "retry":
      connection?.retry();
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Ask>) => obey(data));
