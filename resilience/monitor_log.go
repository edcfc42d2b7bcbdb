package resilience

import (
	"context"
	"log/slog"
)

// log writes each sample at debug level, and a change of level at the level that
// fits the new one.
func (m *RuntimeMonitor) log(before MonitorLevel, s MonitorSnapshot) {
	ctx := context.Background()
	level, message := slog.LevelDebug, "runtime sample"
	if s.Level != before {
		switch s.Level {
		case MonitorCritical:
			level, message = slog.LevelError, "runtime critical"
		case MonitorWarning:
			level, message = slog.LevelWarn, "runtime strained"
		default:
			level, message = slog.LevelInfo, "runtime recovered"
		}
	}
	if m.cfg.Logger.Enabled(ctx, level) {
		m.cfg.Logger.LogAttrs(ctx, level, message, slog.Any("runtime", s))
	}
}
