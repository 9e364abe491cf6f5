package manage

import "net/http"

type statusForm struct {
	Replica  string    `json:"replica" doc:"The process that answers."`
	Revision uint64    `json:"revision" doc:"Revision of the configuration that is stored."`
	Applied  uint64    `json:"applied_revision" doc:"Revision that the process has in force."`
	Problem  string    `json:"problem,omitempty" doc:"Why the stored one is not in force, or not as a whole; absent if it is."`
	Channels int       `json:"channels" doc:"How many channels there are."`
	Failing  []rowForm `json:"failing" doc:"Those that fail."`
	Queued   *int      `json:"queued,omitempty" doc:"Deliveries that wait; absent if the queue cannot tell."`
	Dead     *int      `json:"dead,omitempty" doc:"Dead letters that are kept; absent if the queue cannot tell."`
	Lost     int64     `json:"lost_history" doc:"Entries of the history that could not be stored, in this process."`
}

type tenantForm struct {
	Tenant   string `json:"tenant" doc:"The tenant."`
	Revision uint64 `json:"revision" doc:"Revision of the configuration that is stored."`
	Applied  uint64 `json:"applied_revision" doc:"Revision that the process has in force."`
	Problem  string `json:"problem,omitempty" doc:"Why the stored one is not in force, or not as a whole; absent if it is."`
}

type tenantPage struct {
	Tenants    []tenantForm `json:"tenants" doc:"The tenants, by name."`
	NextCursor string       `json:"next_cursor,omitempty" doc:"Of the next page; absent on the last one."`
}

func statusEndpoints() []endpoint {
	return []endpoint{
		{
			method: http.MethodGet, path: "/status", role: Viewer, id: "getStatus", summary: "Get how the tenant's channels are doing.", answers: ok(statusForm{}, "The status."),
			handle: func(c *call) (*reply, error) {
				s, err := c.service.Status(c.ctx(), c.by.Tenant)
				if err != nil {
					return nil, err
				}
				out := statusForm{s.Replica, uint64(s.Revision), uint64(s.Applied), s.Problem, s.Channels, []rowForm{}, counted(s.Queued), counted(s.Dead), s.LostHistory}
				for _, r := range s.Failing {
					out.Failing = append(out.Failing, rowFormOf(r))
				}
				return &reply{status: http.StatusOK, body: out}, nil
			},
		},
		{
			method: http.MethodGet, path: "/tenants", role: Platform, id: "listTenants", summary: "List the tenants that have a configuration.", query: pageParameters(), answers: ok(tenantPage{}, "The tenants."),
			handle: func(c *call) (*reply, error) {
				from, limit, err := c.page()
				if err != nil {
					return nil, err
				}
				found, err := c.service.Tenants(c.ctx(), from.Name, limit+1)
				if err != nil {
					return nil, err
				}
				out := tenantPage{Tenants: []tenantForm{}}
				found, out.NextCursor = cutPage(c, found, limit, func(t TenantStatus) cursor { return cursor{Name: t.Tenant} })
				for _, t := range found {
					out.Tenants = append(out.Tenants, tenantForm{t.Tenant, uint64(t.Revision), uint64(t.Applied), t.Problem})
				}
				return &reply{status: http.StatusOK, body: out}, nil
			},
		},
	}
}
