package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
)

// sendTelegram sends a message to Telegram. shoutrrr 0.13.2 reports no error without a
// network or with an answer that is not JSON, so it only parses the URL.
func sendTelegram(ctx context.Context, cfg *telegram.Config, text string) error {
	for _, chat := range cfg.Chats {
		id, thread, _ := strings.Cut(chat, ":")
		payload := map[string]any{"chat_id": id, "text": text, "disable_notification": !cfg.Notification, "disable_web_page_preview": !cfg.Preview}
		if n, err := strconv.Atoi(thread); err == nil {
			payload["message_thread_id"] = n
		}
		body, err := json.Marshal(payload)
		if err != nil {
			return fmt.Errorf("encode the message: %w", err)
		}
		if err := postTelegram(ctx, "https://api.telegram.org/bot"+cfg.Token+"/sendMessage", body); err != nil {
			return err
		}
	}
	return nil
}

func postTelegram(ctx context.Context, address string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
	}
	const most = 64 << 10
	err = json.NewDecoder(io.LimitReader(response.Body, most)).Decode(&answer)
	if err != nil || !answer.OK {
		return fmt.Errorf("telegram: status %s: %s", response.Status, answer.Description)
	}
	return nil
}
