// The loudspeakers of a live voice: the chosen one, and a second one for the person themselves.

import { Outlet, Player } from "./loudspeaker";

const GLIDE_S = 0.01;
export const REFUSED = "The loudspeaker that you chose cannot be used. Choose another under Sound.";
export const GONE =
  "The loudspeaker that you chose is not connected any more. Connect it and it goes on, or choose another under Sound.";

/** Where it is heard: device ids, empty for the system's choice; without a monitor there is one loudspeaker. */
export interface SpeakerChoice {
  speaker: string;
  monitor: string;
}

export class Speakers {
  private readonly heard: GainNode;
  private readonly outlet: Outlet;
  private monitor: Player | null = null;
  private monitored = "";
  private choice: SpeakerChoice = { speaker: "", monitor: "" };
  private there = new Set<string>(); // loudspeakers that the browser named last; it may let a page use others too
  private missing = false; // one of the chosen
  private volume = 1;
  private left = false;

  /** @param tell gets why nothing is heard; empty when it is again */
  constructor(
    private readonly context: AudioContext,
    private readonly node: AudioNode,
    private readonly tell: (trouble: string) => void,
  ) {
    this.heard = new GainNode(context);
    node.connect(this.heard);
    this.outlet = new Outlet(context, this.heard);
  }

  /** Whether the sound takes a way of which the context knows no delay. */
  get detour(): boolean {
    return this.outlet.detour;
  }

  /** One that cannot be had is told, and the rest goes on. */
  async choose(choice: SpeakerChoice): Promise<void> {
    if (this.left) return;
    navigator.mediaDevices.addEventListener("devicechange", this.look); // once, however often
    this.choice = choice;
    if (this.missing) this.tell("");
    const had = await Promise.all([this.outlet.choose(choice.speaker), this.setMonitor(choice.monitor)]);
    this.setVolume(this.volume);
    this.missing = !had.every(Boolean);
    if (this.missing) this.tell(REFUSED);
    this.there = await named();
  }

  private async setMonitor(device: string): Promise<boolean> {
    if (device === this.monitored) return true;
    this.monitored = device;
    this.monitor?.close();
    const monitor = device ? new Player(this.context, this.node) : null;
    this.monitor = monitor;
    try {
      await monitor?.begin(device);
      return true;
    } catch {
      monitor?.close();
      if (monitor !== this.monitor) return true;
      this.monitor = null; // the other loudspeaker goes on
      this.monitored = "";
      return false;
    }
  }

  /** Devices came or went. What was unplugged stays silent: others might hear it from the system's loudspeaker. */
  private readonly look = async (): Promise<void> => {
    const { speaker, monitor } = this.choice;
    const chosen = [speaker, monitor].filter(Boolean);
    const now = await named();
    const before = this.there;
    if (this.missing) {
      if (!chosen.every((device) => now.has(device))) return;
      await this.outlet.choose(""); // the same again is no change to a browser
      await this.setMonitor("");
      await this.choose({ speaker, monitor });
      return;
    }
    this.there = now;
    if (!chosen.some((device) => before.has(device) && !now.has(device))) return;
    this.missing = true;
    this.tell(GONE);
  };

  /** What the person hears; nothing changes for those who listen to another loudspeaker than the second one. */
  setVolume(volume: number): void {
    this.volume = volume;
    this.monitor?.setVolume(volume, GLIDE_S);
    this.heard.gain.setTargetAtTime(this.monitor ? 1 : volume, this.context.currentTime, GLIDE_S);
  }

  /** Hear of no device any more; what sounds fades out. */
  leave(): void {
    this.left = true;
    navigator.mediaDevices.removeEventListener("devicechange", this.look);
  }

  close(): void {
    this.monitor?.close();
    this.outlet.release();
  }
}

async function named(): Promise<Set<string>> {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return new Set(devices.filter(({ kind }) => kind === "audiooutput").map(({ deviceId }) => deviceId));
}
