// A second loudspeaker: what goes to a virtual cable for others is heard by the person too.

type Player = HTMLAudioElement & { setSinkId?: (id: string) => Promise<void> };

/** A context plays to one device; another is reached through an audio element. */
export class Monitor {
  private readonly player: Player = new Audio();
  private readonly tap: MediaStreamAudioDestinationNode;

  constructor(
    context: AudioContext,
    private readonly node: AudioNode,
    device: string,
  ) {
    this.tap = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    node.connect(this.tap);
    this.player.srcObject = this.tap.stream;
    void this.begin(device);
  }

  private async begin(device: string): Promise<void> {
    try {
      await this.player.setSinkId?.(device);
      await this.player.play();
    } catch {
      this.player.pause(); // the device is gone: the other loudspeaker goes on
    }
  }

  setVolume(volume: number): void {
    this.player.volume = volume;
  }

  close(): void {
    this.player.pause();
    this.player.srcObject = null;
    try {
      this.node.disconnect(this.tap);
    } catch {
      // the node was let go of before
    }
  }
}
