import { controller } from "../state/controller";
import { notify, useLive } from "../state/live";
import { Icon } from "./Icon";

/** What went wrong and what to do; the place is always there, so that it is read aloud when it fills. */
export function NoticeBar() {
  const notice = useLive((live) => live.notice);
  return (
    <div className={notice ? "notice" : "notice empty"}>
      <p id="notice-text" role="alert">
        {notice?.text}
      </p>
      {notice?.retry && (
        <button type="button" className="plain retry" onClick={() => controller.connection.retry()}>
          {notice.retry}
        </button>
      )}
      {notice && (
        <button type="button" className="plain square" aria-label="Dismiss" onClick={() => notify("")}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
