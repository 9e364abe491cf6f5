package sns

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signer signs each request with a signer of its own. The SDK's keeps the key that it derives for a day by the access
// key's id alone, so that a secret key which was wrong, and is corrected where it is kept, would go on being refused
// until midnight.
type signer struct{}

// SignHTTP is that of the SDK.
func (signer) SignHTTP(
	ctx context.Context, c aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, options ...func(*v4.SignerOptions),
) error {
	return v4.NewSigner().SignHTTP(ctx, c, r, payloadHash, service, region, at, options...)
}
