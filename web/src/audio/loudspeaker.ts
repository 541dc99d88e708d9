// Which loudspeaker is played to. A context has a choice of its own in some browsers (Chrome, Edge); others give it to
// audio elements alone (Firefox, Safari since 18.4), the rest plays where the system says.

type Choosing = { setSinkId?: (id: string) => Promise<void> };

/** Whether another loudspeaker than the system's can be had. */
export const choosable = (): boolean => "setSinkId" in HTMLMediaElement.prototype;

/** Plays a node through an audio element: beside its context's own loudspeaker, or in place of it. */
export class Player {
  private readonly element: HTMLAudioElement & Choosing = new Audio();
  private readonly gain: GainNode; // phones do not let a page turn an element down
  private readonly tap: MediaStreamAudioDestinationNode;

  constructor(
    private readonly context: AudioContext,
    private readonly node: AudioNode,
  ) {
    this.gain = new GainNode(context);
    this.tap = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    node.connect(this.gain).connect(this.tap);
    this.element.srcObject = this.tap.stream;
  }

  /**
   * Play to a device; rejects where that cannot be had.
   *
   * @param lost is told where the browser lets the element make no sound after all
   */
  async begin(device: string, lost: () => void = () => undefined): Promise<void> {
    if (!this.element.setSinkId) throw new DOMException("no choice of loudspeakers", "NotSupportedError");
    await this.element.setSinkId(device);
    this.element.play().catch(lost); // not waited for: it begins when the context does
  }

  setVolume(volume: number, glide_s: number): void {
    this.gain.gain.setTargetAtTime(volume, this.context.currentTime, glide_s);
  }

  close(): void {
    this.element.pause();
    this.element.srcObject = null;
    try {
      this.node.disconnect(this.gain);
    } catch {
      // the node was let go of before
    }
  }
}

/** From a node to the loudspeaker that was chosen; to the system's until then. */
export class Outlet {
  private player: Player | null = null;
  private wanted = "";

  constructor(
    private readonly context: AudioContext & Choosing,
    readonly node: AudioNode,
  ) {
    node.connect(context.destination);
  }

  /** Whether the sound takes a way of which the context knows no delay. */
  get detour(): boolean {
    return this.player !== null;
  }

  /** Play to a device, empty for the system's choice; false where it cannot be had, and all stays as it was. */
  async choose(device: string): Promise<boolean> {
    this.wanted = device;
    if (this.context.setSinkId) {
      return this.context.setSinkId(device).then(
        () => true,
        () => false,
      );
    }
    if (!device) {
      this.release();
      return true;
    }
    const player = new Player(this.context, this.node);
    let had = true;
    const lost = () => {
      had = false;
      if (player === this.player) this.release();
    };
    await player.begin(device, lost).catch(lost);
    if (had && this.wanted === device) this.take(player);
    else player.close();
    return had || this.wanted !== device; // where another one was chosen meanwhile, it does not matter
  }

  private take(player: Player): void {
    if (this.player) this.player.close();
    else this.node.disconnect(this.context.destination);
    this.player = player;
  }

  /** Let go of an element's loudspeaker: the context's own is played to again. */
  release(): void {
    this.wanted = "";
    if (!this.player) return;
    this.player.close();
    this.player = null;
    this.node.connect(this.context.destination);
  }
}
