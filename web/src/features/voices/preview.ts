// How a voice sounds, before it is chosen: one preview at a time, through the chosen loudspeaker.

import { create } from "zustand";
import type { Api } from "../../api/api";
import { explain } from "../../api/errors";
import { Outlet } from "../../audio/loudspeaker";

export interface Preview {
  id: string;
  state: "loading" | "playing";
}

/** The preview that is heard or on its way. */
export const usePreview = create<{ preview: Preview | null }>(() => ({ preview: null }));

const show = (preview: Preview | null) => usePreview.setState({ preview });

export class PreviewPlayer {
  private context: AudioContext | null = null;
  private outlet: Outlet | null = null;
  private going: AbortController | null = null;
  private sound: AudioBufferSourceNode | null = null;

  /**
   * Play a voice's preview. The server renders what it has not yet, which takes its time.
   *
   * @param speaker a device id; empty for the system's choice
   * @param failed gets the reason when nothing can be heard
   */
  async play(api: Api, id: string, speaker: string, failed: (text: string) => void): Promise<void> {
    this.stop();
    const going = new AbortController();
    this.going = going;
    show({ id, state: "loading" });
    try {
      const { context, outlet } = this.opened(); // while the press still counts: browsers let nothing else make sound
      await outlet.choose(speaker);
      const { blob } = await api.file(api.previewPath(id), going.signal);
      const buffer = await context.decodeAudioData(await blob.arrayBuffer());
      if (going.signal.aborted) return;
      this.sound = new AudioBufferSourceNode(context, { buffer });
      this.sound.connect(outlet.node);
      this.sound.onended = () => this.going === going && this.stop();
      this.sound.start();
      show({ id, state: "playing" });
    } catch (error) {
      if (going.signal.aborted) return;
      this.stop();
      failed(explain(error));
    }
  }

  stop(): void {
    this.going?.abort();
    this.going = null;
    this.sound?.stop();
    this.sound?.disconnect();
    this.sound = null;
    this.outlet?.release();
    void this.context?.suspend(); // the loudspeaker is free again
    show(null);
  }

  private opened(): { context: AudioContext; outlet: Outlet } {
    this.context ??= new AudioContext();
    this.outlet ??= new Outlet(this.context, new GainNode(this.context));
    this.context.resume().catch(() => undefined); // a call comes first
    return { context: this.context, outlet: this.outlet };
  }
}

export const previews = new PreviewPlayer();
