// The messages of /ws/realtime-control, under the names that the connection has for them.

import type { Action, ErrorReply } from "../wire/control";

export type { ServerMessage, StatusFigures, VoiceInfo } from "../wire/control";
export type ActionName = Action["action"];
export type ControlError = ErrorReply;
