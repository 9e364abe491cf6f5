package event

import "time"

func sampleRequest(approvals ...Approval) AccessRequest {
	table := ResourceType{ID: "postgresql-table", Name: "Table", DisplayPath: "PostgreSQL/Database/Table"}
	bucket := ResourceType{ID: "aws-s3-bucket", Name: "S3 bucket", DisplayPath: "AWS/S3/Bucket"}
	return AccessRequest{
		ID:                      "6f1c2d84-0b7e-4c57-9c35-d0a1f4a3e2b9",
		FriendlyID:              "AR-2047",
		Requester:               priya(),
		Grantee:                 Grantee{ID: "usr-1041", SourceID: "00u8k2m1xPriya", Name: "Priya Nair", Type: "user"},
		Justification:           "INC-48213: orders are charged twice, need to compare them with the payment export",
		CreationDate:            sampleAt(0),
		RevocationDate:          sampleAt(4*time.Hour + 8*time.Minute),
		AccessFlow:              Reference{ID: "flow-31", Name: "Production data, on-call engineers"},
		AccessBundle:            Reference{ID: "bundle-12", Name: "Payments troubleshooting"},
		AccessDurationInSeconds: 4 * 60 * 60,
		AccessGroups: []AccessGroup{{
			Integration:   Integration{ID: "int-204", Type: "postgresql", Name: "orders-production"},
			ResourceTypes: []ResourceType{table},
			AccessUnits: []AccessUnit{{
				Resource:   Resource{ID: "tbl-881", Name: "orders", Path: "orders-production/shop/orders", Type: table},
				Permission: Reference{ID: "perm-read", Name: "Read only"},
			}, {
				Resource:   Resource{ID: "tbl-882", Name: "payments", Path: "orders-production/shop/payments", Type: table},
				Permission: Reference{ID: "perm-read", Name: "Read only"},
			}},
		}, {
			Integration:   Integration{ID: "int-117", Type: "aws", Name: "AWS production"},
			ResourceTypes: []ResourceType{bucket},
			AccessUnits: []AccessUnit{{
				Resource:   Resource{ID: "s3-5510", Name: "payment-exports", Path: "AWS production/payment-exports", Type: bucket},
				Permission: Reference{ID: "perm-s3-get", Name: "Get objects"},
			}},
		}},
		Relation:  RelationAllOf,
		Approvals: approvals,
		URL:       "https://access.example.com/requests/AR-2047",
	}
}

func approvalByManager() Approval {
	return Approval{Name: "Manager", Type: "manager", Status: ApprovalApproved, Approver: tomas()}
}

func approvalByOwner(s ApprovalStatus) Approval {
	a := Approval{Name: "Payments data owner", Type: "resource_owner", Status: s}
	if s != ApprovalPending {
		a.Approver = ingrid()
	}
	return a
}

func sampleApproved() AccessRequest {
	return sampleRequest(approvalByManager(), approvalByOwner(ApprovalApproved))
}

func sampleRequestPending() Payload {
	return RequestPending{sampleRequest(approvalByManager(), approvalByOwner(ApprovalPending))}
}

func sampleRequestApproved() Payload { return RequestApproved{sampleApproved()} }

func sampleRequestDenied() Payload {
	return RequestDenied{
		AccessRequest: sampleRequest(approvalByManager(), approvalByOwner(ApprovalRejected)),
		Reason:        "The nightly export has what you need, please use that",
	}
}

func sampleRequestExpired() Payload {
	return RequestExpired{sampleRequest(approvalByManager(), approvalByOwner(ApprovalPending))}
}

func sampleRequestBreakGlass() Payload {
	r := sampleRequest(Approval{Name: "Review afterwards", Type: "security_on_call", Status: ApprovalPending})
	r.Justification = "INC-48213: checkout is down, on-call approver cannot be reached"
	r.AccessFlow = Reference{ID: "flow-2", Name: "Break glass"}
	r.Relation = RelationAnyOf
	return RequestBreakGlass{r}
}
